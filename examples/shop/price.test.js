import assert from 'node:assert/strict';
import { test } from 'node:test';
import { offer } from './price.js';

test('an offer has a price and a lifetime in milliseconds', () => {
  assert.deepEqual(offer(1250, '2 hours'), { price: '12.50', expires: 7_200_000 });
});

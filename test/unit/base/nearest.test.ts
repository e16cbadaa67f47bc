import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Heap } from '../../../src/base/heap.ts';
import { canonicalJson } from '../../../src/base/json.ts';
import { nearest } from '../../../src/base/nearest.ts';

describe('base', () => {
  it('names the nearest word, and none when none is near', () => {
    assert.equal(nearest('biuld', ['build', 'test']), 'build');
    assert.equal(nearest('depend_on', ['depends_on', 'description']), 'depends_on');
    assert.equal(nearest('frobnicate', ['build', 'test']), undefined);
  });

  it('gives a heap in order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), (numbers) => {
        const heap = new Heap<number>((a, b) => a - b);
        for (const number of numbers) heap.push(number);
        const out = [];
        while (heap.size > 0) out.push(heap.pop());
        assert.deepEqual(
          out,
          [...numbers].sort((a, b) => a - b),
        );
      }),
    );
  });

  it('writes equal values as equal text', () => {
    assert.equal(canonicalJson({ b: 1, a: [{ d: undefined, c: null }] }), '{"a":[{"c":null}],"b":1}');
    assert.equal(canonicalJson({ a: [{ c: null }], b: 1 }), canonicalJson({ b: 1, a: [{ c: null }] }));
  });
});

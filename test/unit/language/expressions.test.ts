import assert from 'node:assert/strict';
import { evaluateExpression } from '../../../src/language/expression/cel.ts';
import { resolveValue } from '../../../src/language/expression/resolve.ts';
import { parseTemplate } from '../../../src/language/expression/template.ts';
import {
  cronProblem,
  parseCount,
  parseDuration,
  parseMoney,
  parseSize,
  pathProblem,
} from '../../../src/language/values.ts';

describe('expressions', () => {
  it('takes whole JavaScript numbers as CEL ints', () => {
    assert.equal(evaluateExpression('1 + x', { x: 2 }), 3);
    assert.equal(evaluateExpression('x.list[0] * 2', { x: { list: [21] } }), 42);
    assert.equal(evaluateExpression('x + 0.5', { x: 1.5 }), 2);
  });

  it('keeps the type of a value that is one expression', () => {
    assert.deepEqual(resolveValue('${{ l }}', { l: [1, { a: true }] }), [1, { a: true }]);
    assert.equal(resolveValue('n=${{ n }} l=${{ l }}', { n: 1, l: ['x'] }), 'n=1 l=["x"]');
    assert.deepEqual(resolveValue({ a: ['${{ n }}'] }, { n: 5 }), { a: [5] });
  });

  it('finds the end of an expression past braces and quotes', () => {
    const [one] = parseTemplate('x ${{ {"a": "}}"}["a"] }} y').placeholders;
    assert.equal(one!.source, ' {"a": "}}"}["a"] ');
    assert.equal(parseTemplate('x ${{ a').unclosedAt, 2);
  });

  it('says which expression failed', () => {
    assert.throws(
      () => resolveValue('${{ steps.a.outputs.x }}', { steps: { a: { outputs: {} } } }),
      /No such key: x in "steps\.a\.outputs\.x"/,
    );
  });

  it('reads an artifact only when an expression asks for it', () => {
    let reads = 0;
    const artifact = {
      get text() {
        reads++;
        return 'content';
      },
      path: '/p',
    };
    assert.equal(evaluateExpression('a.path', { a: artifact }), '/p');
    assert.equal(reads, 0);
    assert.equal(evaluateExpression('a.text', { a: artifact }), 'content');
  });
});

describe('values', () => {
  it('reads durations, sizes, money, counts', () => {
    assert.deepEqual(['500ms', '30s', '5m', '24h', '1.5h', '5x', ''].map(parseDuration), [
      500,
      30_000,
      300_000,
      86_400_000,
      5_400_000,
      undefined,
      undefined,
    ]);
    assert.deepEqual(['10MB', '1KiB', '3'].map(parseSize), [10_000_000, 1024, undefined]);
    assert.deepEqual(parseMoney('5 USD'), { amount: 5, currency: 'USD' });
    assert.deepEqual(['2M', '500k', 7, '1.5k', 'x'].map(parseCount), [2_000_000, 500_000, 7, 1500, undefined]);
  });

  it('says what is wrong with cron and paths', () => {
    assert.equal(cronProblem('0 6 * * 1-5'), undefined);
    assert.match(cronProblem('0 6 * *')!, /five fields/);
    assert.equal(pathProblem('a/../b'), undefined);
    assert.match(pathProblem('a/../../b')!, /leaves/);
  });
});

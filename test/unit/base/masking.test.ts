import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Masker, secretForms } from '../../../src/base/masking.ts';

describe('masking', () => {
  it('finds a secret as it is, in base64 at any alignment, in a URL and in JSON', () => {
    const secret = 'pa"ss wörd/+=?1';
    const masker = new Masker([secret]);
    for (const lead of ['', 'x', 'xy', 'user:']) {
      const base64 = Buffer.from(`${lead}${secret}:tail`).toString('base64');
      assert.ok(masker.mask(base64).includes('***'), `base64 after "${lead}"`);
    }
    assert.equal(masker.mask(`a ${secret} b`), 'a *** b');
    assert.equal(masker.mask(`?t=${encodeURIComponent(secret)}&x`), '?t=***&x');
    assert.equal(masker.mask(JSON.stringify({ t: secret })), '{"t":"***"}');
  });

  it('leaves everything else as it is', () => {
    const masker = new Masker(['s3cret-token']);
    assert.equal(masker.mask('s3cret and token and MTIz'), 's3cret and token and MTIz');
  });

  it('does not make logs useless for a secret of two letters', () => {
    assert.deepEqual(secretForms(['ab']), []);
  });

  it('finds a secret however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom('hunter2secret', 'hunter2', 'x', '\n', Buffer.from('hunter2secret').toString('base64')),
          { maxLength: 12 },
        ),
        fc.array(fc.nat({ max: 7 }), { minLength: 1 }),
        (words, cuts) => {
          const text = words.join('-');
          const masker = new Masker(['hunter2secret']);
          let out = '';
          let at = 0;
          for (let i = 0; at < text.length; i++) {
            const next = at + 1 + cuts[i % cuts.length]!;
            out += masker.push(text.slice(at, next));
            at = next;
          }
          assert.equal(out + masker.flush(), new Masker(['hunter2secret']).mask(text));
        },
      ),
    );
  });
});

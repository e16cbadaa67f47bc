import fc from 'fast-check';

/** Texts made from seeds by cutting and putting in pieces at random places. */
export function mutated(
  seeds: readonly string[],
  pieces: readonly string[],
  { least, most, cut }: { least: number; most: number; cut: number },
): fc.Arbitrary<string> {
  const mutation = fc.record({ at: fc.nat(), cut: fc.nat({ max: cut }), put: fc.constantFrom(...pieces) });
  return fc
    .tuple(fc.constantFrom(...seeds), fc.array(mutation, { minLength: least, maxLength: most }))
    .map(([seed, mutations]) => {
      let text = seed;
      for (const { at, cut: length, put } of mutations) {
        const start = at % (text.length + 1);
        text = text.slice(0, start) + put + text.slice(start + length);
      }
      return text;
    });
}

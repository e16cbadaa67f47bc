import ms from 'ms';

/** The price of an item, and how long the offer holds. */
export function offer(cents, lifetime) {
  return { price: (cents / 100).toFixed(2), expires: ms(lifetime) };
}

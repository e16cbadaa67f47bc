const offers = await (await fetch(new URL('/', process.env.URL))).json();
if (offers.length !== 2) throw new Error(`expected two offers, got ${offers.length}`);
console.log(`the shop answers with ${offers.length} offers`);

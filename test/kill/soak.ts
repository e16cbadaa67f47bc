import { killRun, random } from './kill-run.ts';

/* `npm run soak [kills] [seed]`: kills runs until that many kills have hit (200), and says what it found. */
const wanted = Number(process.argv[2] ?? 200);
let seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
let kills = 0;
let runs = 0;
let failed = 0;
while (kills < wanted) {
  const alsoRunner = runs % 3 === 2;
  const result = await killRun(5, random(seed), alsoRunner);
  kills += result.kills;
  runs++;
  for (const problem of result.problems) console.log(`seed ${seed}${alsoRunner ? ' with runner' : ''}: ${problem}`);
  if (result.problems.length > 0) failed++;
  if (runs % 10 === 0) console.log(`${runs} runs, ${kills} kills, ${failed} runs with a problem`);
  seed++;
}
console.log(`${runs} runs, ${kills} kills, ${failed} runs with a problem`);
process.exit(failed > 0 ? 1 : 0);

import { DBOS } from '@dbos-inc/dbos-sdk';
import { dependencies, step } from './shell.mjs';

/* A chain only: what is asked of it here. BENCH_POSTGRES names an empty database. */
const flow = DBOS.registerWorkflow(
  async () => {
    for (const index of dependencies.keys()) await DBOS.runStep(() => step(index), { name: `s${index}` });
  },
  { name: 'bench' },
);
DBOS.setConfig({
  name: 'bench',
  systemDatabaseUrl: process.env.BENCH_POSTGRES,
  logLevel: 'error',
  runAdminServer: false,
});
await DBOS.launch();
await flow();
await DBOS.shutdown();
process.exit(0);

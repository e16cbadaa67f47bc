import { rmSync } from 'node:fs';
import { Mastra } from '@mastra/core';
import { createStep, createWorkflow } from '@mastra/core/workflows';
import { LibSQLStore } from '@mastra/libsql';
import { z } from 'zod';
import { dependencies, step } from './shell.mjs';

/* A chain only: what is asked of it here. */
rmSync('mastra.db', { force: true });
const any = z.object({});
const flow = createWorkflow({ id: 'bench', inputSchema: any, outputSchema: any });
for (const index of dependencies.keys()) {
  flow.then(
    createStep({
      id: `s${index}`,
      inputSchema: any,
      outputSchema: any,
      execute: async () => {
        await step(index);
        return {};
      },
    }),
  );
}
flow.commit();
const mastra = new Mastra({
  workflows: { bench: flow },
  storage: new LibSQLStore({ id: 'bench', url: 'file:mastra.db' }),
  logger: false,
});
const run = await mastra.getWorkflow('bench').createRun();
const { status } = await run.start({ inputData: {} });
if (status !== 'success') throw new Error(`it ended as ${status}`);
process.exit(0);

import { rmSync } from 'node:fs';
import { Annotation, END, START, StateGraph } from '@langchain/langgraph';
import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite';
import { dependencies, parallel, step } from './shell.mjs';

rmSync('langgraph.db', { force: true });
const State = Annotation.Root({ done: Annotation({ reducer: (a, b) => a + b, default: () => 0 }) });
const graph = new StateGraph(State);
const leaves = new Set(dependencies.map((_, index) => index));
for (const [index, list] of dependencies.entries()) {
  graph.addNode(`s${index}`, async () => {
    await step(index);
    return { done: 1 };
  });
  for (const other of list) leaves.delete(other);
}
for (const [index, list] of dependencies.entries())
  graph.addEdge(list.length === 0 ? START : list.map((other) => `s${other}`), `s${index}`);
for (const index of leaves) graph.addEdge(`s${index}`, END);
const app = graph.compile({ checkpointer: SqliteSaver.fromConnString('langgraph.db') });
const { done } = await app.invoke(
  {},
  { configurable: { thread_id: '1' }, recursionLimit: 100_000, maxConcurrency: parallel },
);
if (done !== dependencies.length) throw new Error(`only ${done} steps ran`);

/** A DAG by index: `dependencies[i]` are the nodes that node i waits for. */
export class Graph {
  readonly dependencies: readonly (readonly number[])[];

  constructor(dependencies: readonly (readonly number[])[]) {
    this.dependencies = dependencies;
  }

  /** One shortest cycle through each strongly connected component, as the path of its nodes; empty for a DAG. */
  cycles(): number[][] {
    return this.components()
      .filter((nodes) => nodes.length > 1)
      .map((nodes) => this.shortestCycle(nodes));
  }

  /** Whether `from` waits for `target`, directly or not. */
  isUpstream(target: number, from: number): boolean {
    const direct = this.dependencies[from]!;
    if (direct.includes(target)) return true;
    const seen = new Set<number>(direct);
    const queue = [...direct];
    for (let head = 0; head < queue.length; head++) {
      for (const next of this.dependencies[queue[head]!]!) {
        if (next === target) return true;
        if (!seen.has(next)) {
          seen.add(next);
          queue.push(next);
        }
      }
    }
    return false;
  }

  /** Tarjan's algorithm, with a stack of its own: a chain of 20,000 steps must not exhaust the call stack. */
  private components(): number[][] {
    const count = this.dependencies.length;
    const order = new Int32Array(count).fill(-1);
    const low = new Int32Array(count);
    const onStack = new Uint8Array(count);
    const stack: number[] = [];
    const found: number[][] = [];
    let counter = 0;
    for (let root = 0; root < count; root++) {
      if (order[root] !== -1) continue;
      const work: { node: number; next: number }[] = [{ node: root, next: 0 }];
      while (work.length > 0) {
        const frame = work[work.length - 1]!;
        const { node } = frame;
        if (frame.next === 0) {
          order[node] = low[node] = counter++;
          stack.push(node);
          onStack[node] = 1;
        }
        const child = this.dependencies[node]![frame.next++];
        if (child !== undefined) {
          if (order[child] === -1) work.push({ node: child, next: 0 });
          else if (onStack[child]) low[node] = Math.min(low[node]!, order[child]!);
          continue;
        }
        work.pop();
        const parent = work[work.length - 1];
        if (parent) low[parent.node] = Math.min(low[parent.node]!, low[node]!);
        if (low[node] === order[node]) {
          const component: number[] = [];
          for (let member = -1; member !== node; ) {
            member = stack.pop()!;
            onStack[member] = 0;
            component.push(member);
          }
          found.push(component.sort((a, b) => a - b));
        }
      }
    }
    return found.sort((a, b) => a[0]! - b[0]!);
  }

  private shortestCycle(component: readonly number[]): number[] {
    const members = new Set(component);
    const start = component[0]!;
    const previous = new Map<number, number>();
    const queue = [start];
    for (let head = 0; head < queue.length; head++) {
      const node = queue[head]!;
      for (const next of this.dependencies[node]!) {
        if (next === start) {
          const path = [node];
          while (path[0] !== start) path.unshift(previous.get(path[0]!)!);
          return path;
        }
        if (members.has(next) && !previous.has(next)) {
          previous.set(next, node);
          queue.push(next);
        }
      }
    }
    return [...component];
  }
}

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** An npm registry on loopback with the packages it is given, spoken to by the real npm. */
export class Registry {
  private readonly server: Server;
  readonly requests: string[] = [];

  private constructor(server: Server) {
    this.server = server;
  }

  static async start(packages: Readonly<Record<string, string>>): Promise<Registry> {
    const packed = new Map(Object.entries(packages).map(([name, source]) => [name, pack(name, source)]));
    const server = createServer((request, response) => {
      const url = decodeURIComponent(request.url ?? '');
      registry.requests.push(url);
      const tarball = /^\/([^/]+)\/-\/.*\.tgz$/.exec(url);
      const found = packed.get(tarball?.[1] ?? url.slice(1));
      if (!found) return response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}');
      if (tarball) return response.end(found);
      const name = url.slice(1);
      const dist = {
        tarball: `${registry.url}${name}/-/${name}-1.0.0.tgz`,
        integrity: `sha512-${createHash('sha512').update(found).digest('base64')}`,
      };
      response.setHeader('content-type', 'application/json');
      return response.end(
        JSON.stringify({
          name,
          'dist-tags': { latest: '1.0.0' },
          versions: { '1.0.0': { name, version: '1.0.0', dist } },
        }),
      );
    });
    const registry = new Registry(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

function pack(name: string, source: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'sm-pack-'));
  try {
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
    writeFileSync(join(folder, 'index.js'), source);
    const { stdout } = spawnSync('npm', ['pack', '--silent'], {
      cwd: folder,
      encoding: 'utf8',
      shell: process.platform === 'win32',
    });
    return readFileSync(join(folder, stdout.trim()));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const offers = readFileSync('dist/offers.json', 'utf8');
const port = Number(process.env.PORT ?? 8080);
createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(request.url === '/health' ? '{"ok":true}' : offers);
}).listen(port, '127.0.0.1', () => console.log(`the shop listens on ${port}`));

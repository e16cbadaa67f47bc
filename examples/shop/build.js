import { mkdirSync, writeFileSync } from 'node:fs';
import { offer } from './price.js';

mkdirSync('dist', { recursive: true });
writeFileSync('dist/offers.json', JSON.stringify([offer(1250, '2 hours'), offer(990, '1 day')], null, 2));
console.log('built dist/offers.json');

#!/usr/bin/env node
import { enableCompileCache } from 'node:module';

// Compiled code is kept between starts; everything else waits for it.
enableCompileCache();
await import('./main.ts');

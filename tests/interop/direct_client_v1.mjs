// @modelcontextprotocol/sdk 1.x straight to the gateway's URL; see direct_client.py.
import { readFileSync } from 'node:fs';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { attornFetch } from './direct_fetch.mjs';
import { scenes } from './shim_scenes.mjs';

const [server, plays] = process.argv.slice(2, 4).map((text) => JSON.parse(text));
const client = new Client({ name: 'attorn-test', version: '1' });
const fetch = await attornFetch({ ...server, key: JSON.parse(readFileSync(server.key, 'utf8')) });
const transport = new StreamableHTTPClientTransport(new URL(server.url), { fetch });
await client.connect(transport);
const call = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);
const seen = [];
for (const play of plays) seen.push(await scenes[play.play]({ client, call }, play));
console.log(JSON.stringify(seen));
await transport.terminateSession();
await client.close();

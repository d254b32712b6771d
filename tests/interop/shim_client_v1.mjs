// @modelcontextprotocol/sdk 1.x in front of `attorn mcp`; see shim_client.py.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { scenes } from './shim_scenes.mjs';

const [server, play] = process.argv.slice(2, 4).map((text) => JSON.parse(text));
const client = new Client({ name: 'attorn-test', version: '1' });
await client.connect(new StdioClientTransport({ ...server, stderr: 'inherit' }));
const call = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);
console.log(JSON.stringify(await scenes[play.play]({ client, call }, play)));
await client.close();

// @modelcontextprotocol/client 2.x in front of `attorn mcp`; see shim_client.py.
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { scenes } from './shim_scenes.mjs';

const [{ mode, ...server }, play] = process.argv.slice(2, 4).map((text) => JSON.parse(text));
const client = new Client({ name: 'attorn-test', version: '1' }, mode ? { versionNegotiation: { mode } } : {});
await client.connect(new StdioClientTransport({ ...server, stderr: 'inherit' }));
const call = (name, args, options) => client.callTool({ name, arguments: args }, options);
console.log(JSON.stringify(await scenes[play.play]({ client, call }, play)));
await client.close();

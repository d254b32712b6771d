// parrot.py for Node's reader of JSON.   node parrot.mjs TOOL...
import { createInterface } from 'node:readline';

const tools = process.argv.slice(2).map((name) => ({ name, inputSchema: { type: 'object' } }));
const results = {
	initialize: () => ({ protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'parrot', version: '1' } }),
	'tools/list': () => ({ tools }),
	'tools/call': ({ name, arguments: seen }) => ({ content: [{ type: 'text', text: JSON.stringify({ name, arguments: seen }) }] }),
};
createInterface({ input: process.stdin }).on('line', (line) => {
	const { id, method, params } = JSON.parse(line);
	if (results[method]) console.log(JSON.stringify({ jsonrpc: '2.0', id, result: results[method](params) }));
});

// The scenes of shim_client.py for both lines of the official TypeScript SDK. `client` and `call` come from the caller:
// call(tool, arguments, options) resolves to a result or throws the SDK's error.
const text = (result) => result.content.filter((part) => part.type === 'text').map((part) => part.text).join('');
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function attempt(call, [tool, args]) {
	try {
		const result = await call(tool, args, {});
		return { is_error: result.isError === true, text: text(result) };
	} catch (error) {
		return { code: error.code, text: String(error.message).replace(/^MCP error -?\d+: /, '') };
	}
}

export const scenes = {
	async tools({ client }) {
		return (await client.listTools()).tools.map((tool) => tool.name).sort();
	},
	async calls({ call }, play) {
		const seen = [];
		for (const one of play.calls) {
			seen.push(await attempt(call, one));
		}
		return seen;
	},
	async parallel({ call }, play) {
		return Promise.all(play.calls.map((one) => attempt(call, one)));
	},
	async progress({ call }, play) {
		const seen = [];
		const began = performance.now();
		const since = () => (performance.now() - began) / 1000;
		const [tool, args] = play.calls[0];
		const result = await call(tool, args, { onprogress: (p) => seen.push([p.progress, since()]) });
		return { seen, done: since(), text: text(result) };
	},
	async overtaken({ call }, play) {
		const order = [];
		const one = async (what) => {
			await attempt(call, what);
			order.push(what[0]);
		};
		const slow = one(play.calls[0]);
		await sleep(300);
		await one(play.calls[1]);
		await slow;
		return order;
	},
	async cancel({ call }, play) {
		const began = performance.now();
		const stop = new AbortController();
		const [tool, args] = play.calls[0];
		const slow = call(tool, args, { signal: stop.signal }).catch(() => undefined);
		await sleep((play.after ?? 0.5) * 1000);
		stop.abort('changed my mind');
		await slow;
		return { gave_up: (performance.now() - began) / 1000, next: await attempt(call, play.calls[1]) };
	},
};

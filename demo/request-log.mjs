// node --import ./request-log.mjs with REQUEST_LOG=FILE: the server's own access log. One JSON line per HTTP
// request, written when its body has arrived and before any handler has answered it.
import { appendFileSync } from "node:fs";
import { Server } from "node:http";

const file = process.env.REQUEST_LOG;
const emit = Server.prototype.emit;

function logged(request) {
	const chunks = [];
	const push = request.push;
	request.push = function (chunk, ...rest) {
		if (chunk !== null) {
			chunks.push(Buffer.from(chunk));
		} else {
			const { method, url, headers } = request;
			const body = Buffer.concat(chunks).toString();
			appendFileSync(file, JSON.stringify({ at: Date.now(), method, url, headers, body }) + "\n");
		}
		return push.call(this, chunk, ...rest);
	};
}

if (file) {
	Server.prototype.emit = function (event, request, ...rest) {
		if (event === "request") logged(request);
		return emit.call(this, event, request, ...rest);
	};
}

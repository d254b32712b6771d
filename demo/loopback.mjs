// node --import ./loopback.mjs: a TCP listen that names no host, or every host, binds 127.0.0.1 instead.
// The reference servers bind all interfaces; nothing of a demo belongs on the network.
import { Server } from "node:net";
import "./node18.mjs";

const listen = Server.prototype.listen;
const everywhere = (host) => host === undefined || host === null || host === "" || host === "0.0.0.0" || host === "::";

Server.prototype.listen = function (first, ...rest) {
	if (first !== null && typeof first === "object" && first.port !== undefined && everywhere(first.host)) {
		return listen.call(this, { ...first, host: "127.0.0.1" }, ...rest);
	}
	if (typeof first === "number" || (typeof first === "string" && /^\d+$/.test(first))) {
		const host = typeof rest[0] === "string" ? rest.shift() : undefined;
		return listen.call(this, first, everywhere(host) ? "127.0.0.1" : host, ...rest);
	}
	return listen.call(this, first, ...rest);
};

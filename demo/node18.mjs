// Debian 12's Node 18 has no global `crypto` and `CryptoKey`, which current packages count on. Newer ones have them.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;

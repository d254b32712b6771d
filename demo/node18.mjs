// Debian 12's Node 18 has no global `crypto`, which current packages count on. Newer ones have it.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;

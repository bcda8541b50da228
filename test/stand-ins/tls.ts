// A certificate authority of a moment, and a certificate of it for the hosts that are stood in for.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Certificates {
  /** The file that whoever is to trust the authority is given. */
  readonly authorityFile: string;
  readonly key: string;
  readonly certificate: string;
}

const DAYS = "7";

export function makeCertificates(folder: string, hosts: readonly string[]): Certificates {
  const authorityFile = join(folder, "authority.pem");
  const authorityKey = join(folder, "authority.key");
  const keyFile = join(folder, "server.key");
  const certificateFile = join(folder, "server.pem");
  const request = (...args: readonly string[]) =>
    execFileSync(
      "openssl",
      [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
        ...["-days", DAYS, ...args],
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
  request("-subj", "/CN=Stand-in authority", "-keyout", authorityKey, "-out", authorityFile);
  request(
    ...["-subj", `/CN=${hosts[0]}`, "-CA", authorityFile, "-CAkey", authorityKey],
    ...["-addext", `subjectAltName=${hosts.map((host) => `DNS:${host}`).join(",")}`],
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ...["-keyout", keyFile, "-out", certificateFile],
  );
  return {
    authorityFile,
    key: readFileSync(keyFile, "utf8"),
    certificate: readFileSync(certificateFile, "utf8"),
  };
}

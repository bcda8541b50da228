import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { runProcess, type SpawnOptions } from "../../../origin/nix/spawn.ts";
import { tempDir, untilEnded } from "./fixture.ts";

const options: SpawnOptions = { env: { PATH: "/usr/bin:/bin" }, deadlineMs: 60_000 };
const sh = (script: string, more: Partial<SpawnOptions> = {}, ...args: readonly string[]) =>
  runProcess("/bin/sh", ["-c", script, "sh", ...args], { ...options, ...more });

const limit = { timeout: 30_000 };

/** The numbers that a Node of its own writes before it ends, by this code and however it does. */
async function inProcess(
  code: string,
  launcher: readonly string[] = [],
): Promise<readonly number[]> {
  const script = `
    import { readFileSync, writeSync } from "node:fs";
    import { runProcess } from ${JSON.stringify(new URL("../../../origin/nix/spawn.ts", import.meta.url))};
    ${code}`;
  const [program = "", ...args] = [...launcher, process.execPath, "--input-type=module"];
  const child = spawn(program, [...args, "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  return (await text(child.stdout)).trim().split(/\s+/).map(Number);
}

describe("runProcess", () => {
  test("limits what memory a process gets, and what that starts", async () => {
    // As much as the shell and its programs need; tail keeps a line without end.
    const script = "head -c 200000000 /dev/zero | tail -n 1 | wc -c";
    const most = { maxMemoryBytes: 64 * 1024 * 1024 };
    expect(await sh(script)).toMatchObject({ kind: "exited", stdout: "200000000\n" });
    const limited = await sh(script, most);
    expect(limited).toMatchObject({ kind: "exited", stdout: "0\n" });
    expect(limited.kind === "exited" && limited.stderr).toMatch(/memory exhausted/);
  });

  test("passes arguments and exit code of a process that is limited as they are", async () => {
    const hostile = "$(id); `id` 'x' \"y\" \n*";
    const result = await sh('printf %s "$1"; exit 3', { maxMemoryBytes: 1e9 }, hostile);
    expect(result).toStrictEqual({ kind: "exited", code: 3, stdout: hostile, stderr: "" });
  });

  test("lets the others go first from a moment on", limit, async () => {
    const script = `nice() { cut -d ' ' -f 19 /proc/$$/stat; }
      before=$(nice); while [ "$(nice)" = "$before" ]; do :; done; nice`;
    const result = await sh(script, { yieldAfterMs: 50 });
    expect(result).toMatchObject({ kind: "exited", stdout: "10\n" });
  });

  test("keeps a limit of the machine that is lower", async () => {
    const launcher = ["/bin/sh", "-c", 'ulimit -d 4000000; exec "$@"', "sh"];
    // Root may go beyond any.
    if (process.getuid?.() === 0) launcher.push("setpriv", "--reuid=65534", "--clear-groups");
    const script = `
      const { stdout } = await runProcess("/bin/sh", ["-c", "ulimit -d"],
        { env: {}, deadlineMs: 60_000, maxMemoryBytes: 2 ** 40 });
      writeSync(1, stdout);`;
    expect(await inProcess(script, launcher)).toStrictEqual([4_000_000]);
  });

  test("gives code, output and errors of a process that exits", async () => {
    const result = await sh("echo out; echo err >&2; exit 3");
    expect(result).toStrictEqual({ kind: "exited", code: 3, stdout: "out\n", stderr: "err\n" });
  });

  test("passes arguments as they are, without a shell", async () => {
    const hostile = "$(id); `id` 'x' \"y\" \n*";
    const result = await sh('printf %s "$1"', {}, hostile);
    expect(result).toStrictEqual({ kind: "exited", code: 0, stdout: hostile, stderr: "" });
  });

  test("passes no variable that it was not given", async () => {
    const result = await runProcess("/usr/bin/env", [], { ...options, env: { ONLY: "this" } });
    assert(result.kind === "exited", result.kind);
    // Node gives its own one of coverage to every process that it starts.
    const given = result.stdout.replace(/^NODE_V8_COVERAGE=.*\n/m, "");
    expect([result.code, given]).toStrictEqual([0, "ONLY=this\n"]);
  });

  test("gives end of file, or the input, on standard input", async () => {
    expect(await sh("cat; echo end")).toStrictEqual({
      kind: "exited",
      code: 0,
      stdout: "end\n",
      stderr: "",
    });
    const result = await sh("cat", { input: "text" });
    expect(result.kind === "exited" && result.stdout).toBe("text");
  });

  test("survives a process that does not read its input", async () => {
    const result = await sh("exit 0", { input: "x".repeat(1024 * 1024) });
    expect(result.kind).toBe("exited");
  });

  test("reads 1 MiB of errors before any output and keeps their end", async () => {
    const script = "head -c 1048576 /dev/zero | tr '\\0' e >&2; echo last >&2; echo out";
    const result = await sh(script, { keepStderrBytes: 1024 });
    assert(result.kind === "exited");
    expect(result.stdout).toBe("out\n");
    expect(result.stderr).toHaveLength(1024);
    expect(result.stderr.endsWith("elast\n")).toBe(true);
  });

  test("stops a process that writes too much", async () => {
    const result = await sh("exec cat /dev/zero", { maxStdoutBytes: 100_000 });
    expect(result).toStrictEqual({ kind: "too-much-output", limitBytes: 100_000 });
  });

  test("names the signal that ended a process", async () => {
    expect(await sh("echo why >&2; kill -SEGV $$")).toStrictEqual({
      kind: "signalled",
      signal: "SIGSEGV",
      stderr: "why\n",
    });
  });

  test("stops a process at its deadline", async () => {
    const result = await sh("echo begun >&2; exec sleep 1000", { deadlineMs: 200 });
    expect(result.kind).toBe("timed-out");
  });

  test(
    "kills the whole group, and what ignores the first signal, when cancelled",
    limit,
    async () => {
      const pids = join(await tempDir(onTestFinished), "pids");
      const abort = new AbortController();
      const script = `trap '' TERM; sleep 1000 & echo $$ $! > '${pids}'; echo ready >&2; wait; wait`;
      const result = await sh(script, {
        signal: abort.signal,
        killGraceMs: 50,
        onStderrLine: (line) => line === "ready" && abort.abort(),
      });
      expect(result).toStrictEqual({ kind: "cancelled" });
      for (const pid of (await readFile(pids, "utf8")).trim().split(" ")) {
        await untilEnded(Number(pid));
      }
    },
  );

  test("asks again what has missed the first signal", limit, async () => {
    const abort = new AbortController();
    const script = `trap 'n=$((n+1)); [ "$n" = 2 ] && exit' TERM
      echo ready >&2; while :; do sleep 0.01; done`;
    const result = await sh(script, {
      signal: abort.signal,
      // Beyond the test's own limit: only the second signal can end it in time.
      killGraceMs: 60_000,
      onStderrLine: (line) => line === "ready" && abort.abort(),
    });
    expect(result).toStrictEqual({ kind: "cancelled" });
  });

  test.for([
    ["exits", "process.exit()"],
    ["is killed", 'process.kill(process.pid, "SIGKILL")'],
    ["is killed with its group", 'process.kill(0, "SIGKILL")'],
  ] as const)("ends what is running when its own process %s", limit, async ([, end]) => {
    const said = await inProcess(`
        void runProcess("/bin/sh", ["-c", "sleep 1000 & echo $$ $! >&2; wait"], {
          env: { PATH: "/usr/bin:/bin" }, deadlineMs: 60_000,
          onStderrLine: (pids) => { writeSync(1, pids); ${end}; },
        });`);
    expect(said).toHaveLength(2);
    for (const pid of said) await untilEnded(pid);
  });

  test("kills what ignores signals when its own process is killed", limit, async () => {
    const [pid = 0] = await inProcess(`
      void runProcess("/bin/sh", ["-c", "trap '' TERM; echo $$ >&2; while :; do sleep 1000; done"], {
        env: { PATH: "/usr/bin:/bin" }, deadlineMs: 60_000,
        onStderrLine: (pid) => { writeSync(1, pid); process.kill(process.pid, "SIGKILL"); },
      });`);
    await untilEnded(pid);
  });

  test("leaves what had ended before, and whoever has its number now", limit, async () => {
    const [stranger = 0, warden = 0] = await inProcess(`
      const sh = (script, more) => runProcess("/bin/sh", ["-c", script],
        { env: { PATH: "/usr/bin:/bin" }, deadlineMs: 60_000, ...more });
      const { stdout } = await sh("sleep 1000 >/dev/null 2>&1 & echo $!");
      const children = readFileSync(\`/proc/self/task/\${process.pid}/children\`, "utf8");
      writeSync(1, \`\${stdout} \${children}\`);
      process.kill(process.pid, "SIGKILL");`);
    onTestFinished(() => void process.kill(stranger, "SIGKILL"));
    await untilEnded(warden);
    expect(process.kill(stranger, 0)).toBe(true);
  });

  test("ends although a process left behind holds the pipes", async () => {
    const result = await sh("sleep 1000 & echo out", { killGraceMs: 50 });
    expect(result).toStrictEqual({ kind: "exited", code: 0, stdout: "out\n", stderr: "" });
  });

  test("has all that a process wrote, however soon it would be killed", async () => {
    const block = (ms: number) => {
      for (const end = performance.now() + ms; performance.now() < end; );
    };
    // Its end is seen with that of the other, before what it has written meanwhile.
    const first = sh("echo ready >&2", {
      onStderrLine() {
        block(600);
        setImmediate(() => block(20));
      },
    });
    const second = sh("sleep 0.5; echo out", { killGraceMs: 0 });
    block(200);
    await first;
    expect(await second).toMatchObject({ kind: "exited", stdout: "out\n" });
  });

  test("starts nothing when it is cancelled already", async () => {
    const result = await sh("echo x", { signal: AbortSignal.abort() });
    expect(result).toStrictEqual({ kind: "cancelled" });
  });

  test("reports a program that does not exist and arguments that cannot be passed", async () => {
    expect((await runProcess("no-such-program", [], options)).kind).toBe("not-started");
    expect((await sh("echo", {}, "nul\0byte")).kind).toBe("not-started");
    expect((await sh("echo", {}, "x".repeat(1024 * 1024))).kind).toBe("not-started");
  });

  test("reports a process for which there are no more files to open", async () => {
    const launcher = ["/bin/sh", "-c", 'ulimit -n 64; exec "$@"', "sh"];
    const script = `
      import { closeSync, openSync } from "node:fs";
      const open = [];
      try { for (;;) open.push(openSync("/dev/null")); } catch {}
      const result = await runProcess("true", [], ${JSON.stringify(options)});
      open.forEach(closeSync);
      console.log(result.kind === "not-started" && result.error.code === "EMFILE" ? 1 : 0);`;
    expect(await inProcess(script, launcher)).toStrictEqual([1]);
  });

  test("keeps the beginning of a line that is too long, and gives the next whole", async () => {
    const lines: string[] = [];
    await sh("head -c 4194304 /dev/zero | tr '\\0' e >&2; echo end >&2; echo next >&2", {
      onStderrLine: (line) => lines.push(line),
    });
    expect(lines).toHaveLength(2);
    expect(lines[0] ?? "").toMatch(/^e{16384}/);
    expect(lines[0]?.length ?? 0, `${lines[0]?.length}`).toBeLessThan(256 * 1024);
    expect(lines[1]).toBe("next");
  });

  test("gives errors line by line, the last one without its end too", async () => {
    const lines: string[] = [];
    await sh("printf 'a\\nb' >&2; printf 'c\\nd' >&2", {
      onStderrLine: (line) => lines.push(line),
    });
    expect(lines).toStrictEqual(["a", "bc", "d"]);
  });
});

// Nix's store on a machine where nobody has set Nix up: `/nix` for the user who starts us, or the
// build users without which Nix as root builds nothing. A store that somebody has decided on is left
// alone: a daemon's, another root's, or one with things in it that belong to others.

import { constants, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { userInfo } from "node:os";
import { nixRunner } from "../nix/nix-runner.ts";
import { readNixSettings } from "../nix/nix-settings.ts";
import { canUse, type Env, hasProgram, isRoot, type RootStep } from "./as-root.ts";
import { HostProblem } from "./host-problem.ts";

const STORE = "/nix/store";
/** Since 2.10, Nix of a user for whom this does not exist keeps its store in their home instead. */
const STATE = "/nix/var/nix";
const SOCKET_FOLDER = `${STATE}/daemon-socket`;
export const DAEMON_SOCKET = `${SOCKET_FOLDER}/socket`;
const SYSTEMD_UNITS = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
const BUILD_GROUP = "nixbld";
const BUILD_USERS = 8;

/** What root must do before this user's Nix can build; throws HostProblem for what we cannot. */
export async function storeSteps(env: Env): Promise<readonly RootStep[]> {
  // Told where its store is, Nix makes it there.
  const isElsewhere = !["", "auto", "local", "daemon"].includes(env.NIX_REMOTE ?? "");
  if (isElsewhere || env.NIX_STORE_DIR !== undefined) return [];
  if (isRoot()) {
    await mkdir("/nix", { recursive: true });
    return await buildUserSteps(env);
  }
  if (canUse(DAEMON_SOCKET)) return [];
  refuseClosedSocket();
  await makeOwnFolders();
  if (canUse(STORE) && canUse(STATE)) return [];
  refuseStoreOfOthers();
  const owner = String(process.getuid?.() ?? 0);
  const folders = ["/nix", STORE, "/nix/var", STATE];
  return [
    {
      what: `making /nix for ${userName()}`,
      // Whatever root's Nix has begun there.
      commands: [
        ["install", "--directory", "--owner", owner, ...folders],
        ["chown", "--recursive", owner, "/nix"],
      ],
    },
  ];
}

/** Half-made by ourselves or by others for us: what is missing is made without root. */
async function makeOwnFolders(): Promise<void> {
  for (const folder of [STORE, STATE]) {
    // Not ours to make: root's steps come next.
    await mkdir(folder, { recursive: true }).catch(() => undefined);
  }
}

/** Debian's daemon serves the members of a group only. */
function refuseClosedSocket(): void {
  const folder = stat(SOCKET_FOLDER);
  if (folder === undefined || canUse(SOCKET_FOLDER, constants.X_OK)) return;
  const group = groupName(folder.gid);
  const join = `usermod --append --groups ${group} ${userName()}`;
  throw new HostProblem(
    `the Nix daemon of this machine serves members of the group ${group} only; run this once as root, log in again and start again:\n  ${join}`,
  );
}

function refuseStoreOfOthers(): void {
  if (!hasUnit("nix-daemon.socket") && !hasUnit("nix-daemon.service") && isEmptyStore()) return;
  const owner = stat(STORE)?.uid ?? 0;
  throw new HostProblem(
    `${STORE} belongs to the user ${owner}, and no Nix daemon answers at ${DAEMON_SOCKET}; run one of these once as root, then start again:\n` +
      "  systemctl enable --now nix-daemon.socket    (where Nix was installed for several users)\n" +
      `  chown --recursive ${userName()} /nix    (where nobody else uses it)`,
  );
}

function isEmptyStore(): boolean {
  try {
    // Nix makes this one as soon as it looks.
    return readdirSync(STORE).every((name) => name === ".links");
  } catch {
    // Not there at all.
    return true;
  }
}

/**
 * Debian's nix-bin brought no build users before 2.20, a container has none, and Nix as root refuses
 * to build without them. Where the configuration names another group, or none, it is the host's.
 */
async function buildUserSteps(env: Env): Promise<readonly RootStep[]> {
  if (!canAddUsers(env) || !(await lacksBuildUsers(env))) return [];
  const users = Array.from({ length: BUILD_USERS }, (_, index) => `${BUILD_GROUP}${index + 1}`);
  const identity = ["--system", "--gid", BUILD_GROUP, "--groups", BUILD_GROUP];
  const login = ["--home-dir", "/var/empty", "--no-create-home", "--shell", "/usr/sbin/nologin"];
  return [
    {
      what: "adding Nix's build users",
      commands: [
        ["groupadd", "--system", "--force", BUILD_GROUP],
        ...users.map((user) => ["useradd", ...identity, ...login, user]),
      ],
    },
  ];
}

/** For Nix as root where users cannot be added: it builds as root then. */
export async function storeNixConfig(env: Env): Promise<string | undefined> {
  if (!isRoot() || canAddUsers(env) || !(await lacksBuildUsers(env))) return undefined;
  return "build-users-group =";
}

/** Not on Alpine, nor in an image of a few programs. */
function canAddUsers(env: Env): boolean {
  return hasProgram("useradd", env, ["/usr/sbin", "/sbin"]);
}

async function lacksBuildUsers(env: Env): Promise<boolean> {
  return !hasMembers(BUILD_GROUP) && (await buildGroupOf(env)) === BUILD_GROUP;
}

/** The group whose users build, as Nix is configured; the default where there is no Nix yet. */
async function buildGroupOf(env: Env): Promise<string> {
  const settings = await readNixSettings({ run: nixRunner({ env }) });
  return settings?.buildUsersGroup ?? BUILD_GROUP;
}

function hasMembers(group: string): boolean {
  return groups().some(({ name, members }) => name === group && members !== "");
}

function groupName(gid: number): string {
  return groups().find((group) => group.gid === String(gid))?.name ?? String(gid);
}

function groups() {
  return readFileSync("/etc/group", "utf8")
    .split("\n")
    .map((line) => line.split(":"))
    .map(([name = "", , gid = "", members = ""]) => ({ name, gid, members }));
}

function hasUnit(name: string): boolean {
  return SYSTEMD_UNITS.some((folder) => stat(`${folder}/${name}`) !== undefined);
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id that has no name, as in many containers.
    return String(process.getuid?.() ?? 0);
  }
}

function stat(path: string) {
  try {
    return statSync(path);
  } catch {
    // Not there, or below what may not be entered.
    return undefined;
  }
}

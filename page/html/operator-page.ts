// What operators see of an origin. It has no script: it is loaded again where one wants to know more.

import type {
  BuildUnderWay,
  FailedBuild,
  IndexTold,
  MadeBuild,
  OperatorView,
  OutboxState,
  Queue,
} from "../../registry/http/operator-view.ts";
import { pagePath } from "../../registry/http/page-route.ts";
import type { AssetFiles } from "./assets.ts";
import { document } from "./document.ts";
import { type Content, type Html, html } from "./escape.ts";
import { countText, plural } from "./quantities.ts";
import { pageResponse } from "./response.ts";
import { sizeOf, timeOf, told, toldLines, wideTable } from "./told.ts";

export function operatorPageResponse(
  request: Request,
  view: OperatorView,
  files: AssetFiles,
): Promise<Response> {
  const headers = { "Cache-Control": "no-store" };
  return pageResponse(request, operatorPage(view, files), { headers });
}

export function operatorPage(view: OperatorView, files: AssetFiles): Html {
  const title = "Operators' view";
  return document({
    ...{ title: `${title} · nixport`, description: "What this registry is at", files },
    content: html`<h1>${title}</h1>
<p>As it was at ${timeOf(view.atMs)}. <a href="${pagePath.operator}">Look again</a> · <a href="${pagePath.operatorData}">JSON</a></p>
${section("under-way", "Under way", underWay(view.underWay))}
${section("queues", "Queues", queues(view.queues))}
${section("builds", "Recent builds", builds(view.builds))}
${section("failures", "Recent failures", view.failures.length === 0 ? none("Nothing has failed") : view.failures.map(failure))}
${section("outbox", "Outbox", outbox(view.outbox))}
${section("indexes", "Package indexes", indexes(view.indexes))}
${section("storage", "Storage", storage(view), nixStore(view))}
${section("origin", "Origin", origin(view))}`,
  });
}

function section(id: string, title: string, ...content: readonly Content[]): Html {
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>
${content}
</section>`;
}

function none(text: string): Html {
  return html`<p>${text} since the start.</p>`;
}

type Row = readonly Content[];

function table(label: string, heads: readonly string[], rows: readonly Row[]): Html {
  return wideTable(
    label,
    html`<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>\n`)}</tbody>`,
  );
}

function imageOf({ image, tag }: Pick<MadeBuild, "image" | "tag">): Html {
  return html`<a href="${pagePath.image(image, tag)}">${told(`${image}:${tag}`)}</a>`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function underWay(builds: readonly BuildUnderWay[]): Html {
  if (builds.length === 0) return html`<p>No image is being made.</p>`;
  const rows = builds.map(({ image, beganAtMs, stage }) => [
    told(image),
    told(stage),
    timeOf(beganAtMs),
  ]);
  return table("Images under way", ["Image", "Stage", "Since"], rows);
}

function queues(all: readonly Queue[]): Html {
  const rows = all.map(({ name, running, atOnce, waiting, mayWait }) => [
    told(name),
    `${countText(running)} of ${countText(atOnce)}`,
    `${countText(waiting)} of ${countText(mayWait)}`,
  ]);
  return table("How many run and wait", ["Queue", "Running", "Waiting"], rows);
}

function builds(made: readonly MadeBuild[]): Html {
  if (made.length === 0) return none("Nothing was built");
  const rows = made.map((build) => [
    imageOf(build),
    timeOf(build.endedAtMs),
    seconds(build.ms),
    sizeOf(build.newBytes),
  ]);
  return table("Images built", ["Image", "Made at", "Took", "New"], rows);
}

function failure(failed: FailedBuild): Html {
  return html`<h3>${imageOf(failed)}</h3>
<p>At ${timeOf(failed.endedAtMs)}, after ${seconds(failed.ms)}:</p>
${toldLines([failed.message])}
`;
}

function outbox(state: OutboxState | null): Html {
  if (state === null) return html`<p>There is no edge to fill.</p>`;
  const { waiting, failing, oldestResolvedAtMs } = state;
  if (waiting === 0 || oldestResolvedAtMs === null) return html`<p>Nothing waits for the edge.</p>`;
  return html`<p>${plural(waiting, "entry", "entries")} for the edge, ${countText(failing)} of them tried in vain; the oldest is of a tag resolved at ${timeOf(oldestResolvedAtMs)}.</p>`;
}

function indexes(states: readonly IndexTold[]): Html {
  if (states.length === 0) return html`<p>None is made here.</p>`;
  const rows = states.map(({ pin, system, tags, state, names, ofNames, reason, sinceMs }) => [
    told(tags.join(", ")),
    html`<code>${told(pin)}</code>`,
    told(system),
    [told(state), reason !== null && html`: ${told(reason)}`],
    [names !== null && countText(names), ofNames !== null && ` of ${countText(ofNames)}`],
    timeOf(sinceMs),
  ]);
  return table(
    "Indexes by revision",
    ["Tags", "Revision", "System", "State", "Names", "Since"],
    rows,
  );
}

function storage({ storage: counted }: OperatorView): Html {
  if (counted === null) return html`<p>It is being counted: look again.</p>`;
  const rows = counted.collections.map(({ name, count, bytes, isPartial }) => [
    told(name),
    [isPartial && "more than ", countText(count)],
    [isPartial && "more than ", sizeOf(bytes)],
  ]);
  return html`<p>Counted at ${timeOf(counted.countedAtMs)}${counted.collections.some(({ isPartial }) => isPartial) && ", in part"}.</p>
${table("Collections", ["Collection", "Values", "Size"], rows)}`;
}

function nixStore({ nixStore: store }: OperatorView): Content {
  if (store === null) return html`<p>How much room the Nix store has is not known.</p>`;
  return html`<p>Nix store: ${sizeOf(store.freeBytes)} of ${sizeOf(store.bytes)} are free at <code>${told(store.path)}</code>.</p>`;
}

function origin({ process, packings, trackedTags }: OperatorView): Html {
  const { startedAtMs, node, nix, residentBytes, availableBytes, machineBytes } = process;
  const facts: readonly (readonly [string, Content])[] = [
    ["Running since", timeOf(startedAtMs)],
    ["Node", told(node)],
    ["Nix", told(nix)],
    ["Memory", [sizeOf(residentBytes), " of the process"]],
    ["Memory left", [sizeOf(availableBytes), " of ", sizeOf(machineBytes)]],
    ["Tracked tags", trackedTags.length === 0 ? "none" : told(trackedTags.join(", "))],
    ...packings.map(
      ({ form, packing }) => [`Packing ${form}`, html`<code>${told(packing)}</code>`] as const,
    ),
  ];
  return html`<dl>${facts.map(([name, value]) => html`<div><dt>${told(name)}</dt><dd>${value}</dd></div>\n`)}</dl>`;
}

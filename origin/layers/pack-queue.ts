// Which layer is packed next. Groups (the layers of one package) take turns, so that a small
// package never waits for all of a large one; within a group the biggest layer goes first, so that
// the last thread to finish is not alone for long; of equals the one that came first.

export interface Queued {
  readonly request: { readonly group: string; readonly sizeBytes: number };
}

export interface PackQueue<Job extends Queued> {
  add(job: Job): void;
  /** Takes the next job out. */
  next(): Job | undefined;
  count(): number;
  /** False where the job is not in the queue any more. */
  remove(job: Job): boolean;
}

export function createPackQueue<Job extends Queued>(): PackQueue<Job> {
  // In the order of their turns; a group without jobs has no turn.
  const groups = new Map<string, Job[]>();
  return {
    add: (job) => {
      const { group } = job.request;
      const jobs = groups.get(group) ?? [];
      jobs.push(job);
      jobs.sort((a, b) => b.request.sizeBytes - a.request.sizeBytes);
      groups.set(group, jobs);
    },
    next: () => {
      for (const [group, jobs] of groups) {
        const job = jobs.shift();
        groups.delete(group);
        if (jobs.length > 0) groups.set(group, jobs);
        return job;
      }
      return undefined;
    },
    count: () => [...groups.values()].reduce((sum, jobs) => sum + jobs.length, 0),
    remove: (job) => {
      const { group } = job.request;
      const jobs = groups.get(group) ?? [];
      const place = jobs.indexOf(job);
      if (place === -1) return false;
      jobs.splice(place, 1);
      if (jobs.length === 0) groups.delete(group);
      return true;
    },
  };
}

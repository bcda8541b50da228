// One who watches: a stream that is given what it asks for, and holds no more than the latest that it has
// yet to read. So one that never reads costs what one event takes, whatever is told.

export interface Watcher {
  readonly stream: ReadableStream<Uint8Array>;
  /** Takes the place of what was not read yet. */
  tell(event: Uint8Array): void;
  /** The last that it is told. */
  end(event: Uint8Array): void;
  /** Has it told only where nothing else waits to be read. */
  remind(heartbeat: Uint8Array): void;
  /** Since when something waits to be read; undefined where nothing does. */
  unreadSinceMs(): number | undefined;
  /** Ends the stream where it is: whoever comes back sees how far it is. */
  drop(): void;
}

export interface WatcherOptions {
  readonly now: () => number;
  /** Nobody reads it any more. Called once, however it ends. */
  readonly onLeave: () => void;
}

interface Unread {
  readonly event: Uint8Array;
  readonly sinceMs: number;
  readonly isLast: boolean;
}

export function openWatcher({ now, onLeave }: WatcherOptions): Watcher {
  let unread: Unread | undefined;
  let asking: ReadableStreamDefaultController<Uint8Array> | undefined;
  let open: ReadableStreamDefaultController<Uint8Array> | undefined;

  function leave(): void {
    if (open === undefined) return;
    open = undefined;
    asking = undefined;
    unread = undefined;
    onLeave();
  }

  function give(): void {
    if (unread === undefined || asking === undefined) return;
    const { event, isLast } = unread;
    const to = asking;
    unread = undefined;
    asking = undefined;
    to.enqueue(event);
    if (!isLast) return;
    to.close();
    leave();
  }

  function put(event: Uint8Array, isLast: boolean): void {
    if (open === undefined || unread?.isLast) return;
    unread = { event, isLast, sinceMs: unread?.sinceMs ?? now() };
    give();
  }

  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        open = controller;
      },
      pull(controller) {
        asking = controller;
        give();
      },
      cancel: leave,
    },
    { highWaterMark: 0 },
  );
  return {
    stream,
    tell: (event) => put(event, false),
    end: (event) => put(event, true),
    remind(heartbeat) {
      if (unread === undefined) put(heartbeat, false);
    },
    unreadSinceMs: () => unread?.sinceMs,
    drop() {
      open?.close();
      leave();
    },
  };
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Calls `listener` with 1, 2, … for each Ctrl-C (or TERM, HUP), in place of the end. Returns the undo. */
export function onInterrupt(listener: (count: number) => void): () => void {
  let count = 0
  const heard = () => listener(++count)
  for (const signal of signals) process.on(signal, heard)
  return () => {
    for (const signal of signals) process.off(signal, heard)
  }
}

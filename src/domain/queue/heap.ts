/** A binary heap over `items`, which it takes over: the least at the top; made in linear time. */
export function createHeap<T>(items: T[], compare: (a: T, b: T) => number) {
  function sink(from: number): void {
    const item = items[from]!
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= items.length) break
      if (child + 1 < items.length && compare(items[child + 1]!, items[child]!) < 0) child++
      if (compare(item, items[child]!) <= 0) break
      items[at] = items[child]!
      at = child
    }
    items[at] = item
  }

  for (let i = (items.length >>> 1) - 1; i >= 0; i--) sink(i)

  return {
    top: (): T | undefined => items[0],
    add(item: T): void {
      let at = items.push(item) - 1
      for (; at > 0; at = (at - 1) >>> 1) {
        const parent = items[(at - 1) >>> 1]!
        if (compare(parent, item) <= 0) break
        items[at] = parent
      }
      items[at] = item
    },
    /** The top has become larger. */
    sinkTop: (): void => sink(0),
    removeTop(): void {
      const last = items.pop()
      if (items.length === 0 || last === undefined) return
      items[0] = last
      sink(0)
    }
  }
}

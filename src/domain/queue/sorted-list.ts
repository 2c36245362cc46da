/** Splitting at this size keeps an insertion at a binary search and a move of two kilobytes, however long the list. */
const chunkSize = 256

/** Items in order, no two of which compare as equal. Adding and removing cost O(log n) and a short move. */
export function createSortedList<T>(compare: (a: T, b: T) => number) {
  /** None of them is empty. */
  const chunks: T[][] = []
  let size = 0

  /** Index of the first chunk whose last item is not before `item`. */
  function chunkOf(item: T): number {
    // What comes last is the common case: new jobs are the youngest.
    if (chunks.length === 0 || compare(chunks.at(-1)!.at(-1)!, item) < 0) return chunks.length
    return firstIndex(chunks.length, (i) => compare(chunks[i]!.at(-1)!, item) >= 0)
  }

  return {
    get size() {
      return size
    },
    first: (): T | undefined => chunks[0]?.[0],
    add(item: T): void {
      const found = chunkOf(item)
      size++
      if (found === chunks.length) {
        const last = chunks.at(-1)
        if (last === undefined || last.length >= chunkSize) chunks.push([item])
        else last.push(item)
        return
      }
      const chunk = chunks[found]!
      chunk.splice(
        firstIndex(chunk.length, (i) => compare(chunk[i]!, item) >= 0),
        0,
        item
      )
      if (chunk.length > 2 * chunkSize) chunks.splice(found + 1, 0, chunk.splice(chunkSize))
    },
    /** False where it is not there. */
    delete(item: T): boolean {
      const found = chunkOf(item)
      const chunk = chunks[found]
      if (chunk === undefined) return false
      const at = firstIndex(chunk.length, (i) => compare(chunk[i]!, item) >= 0)
      if (at === chunk.length || compare(chunk[at]!, item) !== 0) return false
      if (chunk.length === 1) chunks.splice(found, 1)
      else chunk.splice(at, 1)
      size--
      return true
    },
    /** In order. Nothing may be added or removed meanwhile. */
    *[Symbol.iterator](): Generator<T> {
      for (const chunk of chunks) yield* chunk
    }
  }
}

export type SortedList<T> = ReturnType<typeof createSortedList<T>>

/** The first index below `length` of which `holds` is true, given that it stays true; `length` where there is none. */
function firstIndex(length: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}

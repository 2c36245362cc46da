import fc from 'fast-check'
import t from 'tap'
import { unrestricted, type AppliedQuota, type Rules } from '../../src/domain/policy.ts'
import { fits, type Amounts } from '../../src/domain/queue/amounts.ts'
import { leavesRoom, type Reservation } from '../../src/domain/queue/backfill.ts'
import { dominantShare } from '../../src/domain/queue/fair-share.ts'
import { compareJobs, defaultMsPerPoint, priorityRange } from '../../src/domain/queue/order.ts'
import { overQuota } from '../../src/domain/queue/quota.ts'
import { cores, node, rulesOf, simulate, sum, type SimulatedJob } from '../fixtures/queue-simulation.ts'

const runs = { numRuns: 150 }
const total = node(8)

const needs: fc.Arbitrary<Amounts> = fc.record({
  millicores: fc.constantFrom(0, 500, 1000, 1000, 2000, 4000, 8000),
  memoryBytes: fc.constantFrom(0, 2 ** 20, 2 ** 28, 2 ** 29),
  gpu: fc.constantFrom(0, 0, 0, 1, 2, 4),
  slots: fc.constant(1)
})

const workload = (tenants: string[], more: { preemptible?: boolean; priorities?: number[] } = {}) =>
  fc
    .array(
      fc.record({
        tenant: fc.constantFrom(...tenants),
        token: fc.constantFrom('x', 'y'),
        // Several times what the node can do, so that everybody waits.
        arrivesAt: fc.integer({ min: 0, max: 5_000 }),
        needs,
        priority: fc.constantFrom(...(more.priorities ?? [0, 50, 100])),
        longestMs: fc.integer({ min: 1, max: 3_000 }),
        part: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
        preemptible: more.preemptible === true ? fc.boolean() : fc.constant(false)
      }),
      { minLength: 1, maxLength: 50, size: 'max' }
    )
    .map((jobs) =>
      jobs.map(({ part, ...job }, i): SimulatedJob => ({
        ...job,
        id: String(i).padStart(4, '0'),
        lastsMs: Math.max(1, Math.round(job.longestMs * part))
      }))
    )

const quota = (change: Partial<AppliedQuota>): AppliedQuota => ({
  policy: 'p',
  per: 'tenant',
  running: null,
  queued: null,
  cpu: null,
  memoryBytes: null,
  gpu: null,
  submissionsPerMinute: null,
  logBytes: null,
  ...change
})

await t.test('every job runs once, and never more at a time than the node has', (t) => {
  fc.assert(
    fc.property(workload(['a', 'b', 'c']), (jobs) => {
      const { starts } = simulate({
        total,
        jobs,
        onLook: ({ running }) => {
          if (!fits(sum([...running.all()].map((job) => job.needs)), total)) throw new Error('overbooked')
        }
      })
      return starts.length === jobs.length && new Set(starts.map(({ id }) => id)).size === jobs.length
    }),
    runs
  )
  t.end()
})

await t.test('no room is idle that a waiting job could use, but for the one that is reserved', (t) => {
  fc.assert(
    fc.property(workload(['a', 'b', 'c']), (jobs) => {
      simulate({
        total,
        jobs,
        onLook: ({ waiting, free, reservation, now }) => {
          for (const { lines } of waiting.tenants().values()) {
            for (const { jobs } of lines.values()) {
              const job = jobs.first()!
              if (!fits(job.needs, free)) continue
              const overtaker = { needs: job.needs, endsBy: now + job.longestMs }
              if (reservation === null || reservation.jobId === job.id || leavesRoom(overtaker, reservation))
                throw new Error(`${job.id} waits at ${now} for nothing`)
            }
          }
        }
      })
    }),
    runs
  )
  t.end()
})

await t.test('backfill: whoever is promised a time starts by it, as if nobody else had been let in', (t) => {
  // One tenant and one priority: nobody who comes later has more right to the room.
  fc.assert(
    fc.property(workload(['a'], { priorities: [50] }), (jobs) => {
      const promised = new Map<string, number>()
      const { starts } = simulate({
        total,
        jobs,
        onLook: ({ reservation }) => {
          if (reservation !== null && !promised.has(reservation.jobId))
            promised.set(reservation.jobId, reservation.at)
        }
      })
      for (const { id, at } of starts) {
        if (at > (promised.get(id) ?? Infinity))
          throw new Error(`${id} started at ${at}, promised ${promised.get(id)}`)
      }
    }),
    { numRuns: 400 }
  )
  t.end()
})

await t.test('backfill: a promise moves back only where a job with more right starts', (t) => {
  fc.assert(
    fc.property(workload(['a'], { preemptible: true }), (jobs) => {
      const byId = new Map(
        jobs.map((job) => [job.id, { ...job, priority: job.priority!, createdAt: job.arrivesAt }])
      )
      const compare = compareJobs(defaultMsPerPoint)
      let before: Reservation | null = null
      simulate({
        total,
        jobs,
        onLook: ({ reservation, started }) => {
          const { jobId, at } = reservation ?? {}
          const isSame = before !== null && before.jobId === jobId
          const overtaken = started.some((id) => compare(byId.get(id)!, byId.get(jobId ?? id)!) < 0)
          if (isSame && at! > before!.at && !overtaken) throw new Error(`${jobId}: ${before!.at}, then ${at}`)
          before = reservation
        }
      })
    }),
    { numRuns: 400 }
  )
  t.end()
})

await t.test('backfill really lets small jobs by', (t) => {
  const job = (id: string, count: number, lastsMs: number): SimulatedJob => ({
    id,
    tenant: 'a',
    arrivesAt: Number(id),
    needs: cores(count),
    lastsMs
  })
  const { starts } = simulate({
    total,
    jobs: [job('1', 6, 100), job('2', 8, 50), job('3', 2, 90), job('4', 2, 200), job('5', 2, 8)]
  })
  t.same(
    starts.map(({ id, at }) => [id, at]),
    // 2 is next and starts at 101. 3 is over by then, and so is 5 after it; 4 would not be.
    [
      ['1', 1],
      ['3', 3],
      ['5', 93],
      ['2', 101],
      ['4', 151]
    ]
  )
  t.end()
})

await t.test('shares follow the weights under load, within one job and 5 %', (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ weight: fc.integer({ min: 1, max: 5 }), lastsMs: fc.integer({ min: 500, max: 3_000 }) }),
        {
          minLength: 2,
          maxLength: 4
        }
      ),
      (tenants) => {
        const names = tenants.map((_, i) => `t${i}`)
        const horizon = 40_000
        const machine = node(40)
        // Ten times what the node can do, from the first moment on.
        const jobs = tenants.flatMap(({ lastsMs }, tenant) =>
          Array.from({ length: Math.ceil((40 * horizon) / lastsMs) }, (_, i): SimulatedJob => ({
            id: `${tenant}-${String(i).padStart(6, '0')}`,
            tenant: names[tenant]!,
            arrivesAt: 0,
            needs: cores(1),
            lastsMs: lastsMs + ((i * 37) % 200)
          }))
        )
        const used = new Map(names.map((name) => [name, 0]))
        let last = 0
        let held = new Map<string, number>()
        simulate({
          total: machine,
          jobs,
          until: horizon,
          rulesFor: (tenant) => rulesOf({ weight: tenants[names.indexOf(tenant)]!.weight }),
          onLook: ({ now, running }) => {
            for (const [name, share] of held) used.set(name, used.get(name)! + share * (now - last))
            last = now
            held = new Map(names.map((name) => [name, dominantShare(running.heldByTenant(name), machine)]))
          }
        })
        const weights = tenants.reduce((sum, { weight }) => sum + weight, 0)
        for (const [i, name] of names.entries()) {
          const share = used.get(name)! / last
          const fair = tenants[i]!.weight / weights
          if (Math.abs(share - fair) > 1 / 40 + 0.05 * fair)
            throw new Error(`${name}: ${share}, fair would be ${fair}`)
        }
      }
    ),
    { numRuns: 8 }
  )
  t.end()
})

await t.test('nobody starves', async (t) => {
  const msPerPoint = 100
  const range = priorityRange * msPerPoint

  await t.test('a job of the least priority under a flood of the most important', (t) => {
    const flood = Array.from({ length: 4_000 }, (_, i): SimulatedJob => ({
      id: `f${String(i).padStart(5, '0')}`,
      tenant: 'a',
      arrivesAt: i * 10,
      priority: 100,
      needs: cores(8),
      lastsMs: 10
    }))
    const { starts } = simulate({
      total,
      msPerPoint,
      jobs: [...flood, { id: 'poor', tenant: 'a', arrivesAt: 5, priority: 0, needs: cores(8), lastsMs: 10 }]
    })
    const at = starts.find(({ id }) => id === 'poor')!.at
    t.ok(at <= 5 + range + 20, `it started after ${at} ms, the bound is ${range} ms and what runs then`)
    t.ok(at > range / 2, 'and not at once')
    t.end()
  })

  await t.test('a tenant whose share is never the smallest when there is room', (t) => {
    // One small job of `a` runs all the time; `b` and `c` take turns with the rest, each with nothing when its turn comes.
    const jobs: SimulatedJob[] = [
      { id: 'a0', tenant: 'a', arrivesAt: 0, needs: cores(1), lastsMs: 1_000_000 },
      { id: 'a1', tenant: 'a', arrivesAt: 1, needs: cores(7), lastsMs: 50 },
      ...['b', 'c'].flatMap((tenant) =>
        Array.from({ length: 1_000 }, (_, i): SimulatedJob => ({
          id: `${tenant}${String(i).padStart(4, '0')}`,
          tenant,
          arrivesAt: 0,
          needs: cores(7),
          lastsMs: 50
        }))
      )
    ]
    const { starts } = simulate({ total, msPerPoint, jobs, until: 80_000 })
    const at = starts.find(({ id }) => id === 'a1')!.at
    t.ok(at <= range + 3 * 50 + 1, `it started after ${at} ms`)
    t.ok(at > range / 2, 'only because it had waited')
    t.end()
  })

  await t.test('a large job under a quota that small ones of its tenant could use up for ever', (t) => {
    const small = Array.from({ length: 1_000 }, (_, i): SimulatedJob => ({
      id: `s${String(i).padStart(4, '0')}`,
      tenant: 'a',
      arrivesAt: i * 10,
      needs: cores(1),
      lastsMs: 50
    }))
    const { starts } = simulate({
      total,
      jobs: [...small, { id: 'large', tenant: 'a', arrivesAt: 100, needs: cores(3), lastsMs: 50 }],
      rulesFor: () => rulesOf({ quotas: [quota({ cpu: 3 })] })
    })
    t.ok(starts.find(({ id }) => id === 'large')!.at <= 100 + 10 * 50)
    t.end()
  })

  await t.test('no tenant waits longer for a start than the bound', (t) => {
    fc.assert(
      fc.property(workload(['a', 'b', 'c', 'd']), (seeds) => {
        const ms = 20
        const jobs = seeds.flatMap((job, i) =>
          Array.from({ length: 6 }, (_, round): SimulatedJob => ({
            ...job,
            id: `${round}-${i}`,
            longestMs: Math.min(job.longestMs!, 3_000),
            lastsMs: Math.min(job.lastsMs, 3_000)
          }))
        )
        // Overdue after the whole range; then at most the other overdue ones are before it, each within the longest run.
        const bound = priorityRange * ms + 4 * 2 * 3_000
        let unserved: { tenant: string; since: number } | null = null
        simulate({
          total,
          msPerPoint: ms,
          jobs,
          onLook: ({ waiting, now }) => {
            for (const { name, unservedSince } of waiting.tenants().values())
              if (now - unservedSince > bound) unserved = { tenant: name, since: unservedSince }
          }
        })
        return unserved === null
      }),
      runs
    )
    t.end()
  })
})

await t.test('quotas are never exceeded, and who is over one holds up nobody of others', (t) => {
  const quotas = fc.array(
    fc.record({
      per: fc.constantFrom('tenant' as const, 'token' as const),
      running: fc.option(fc.integer({ min: 1, max: 4 })),
      cpu: fc.option(fc.integer({ min: 1, max: 6 })),
      gpu: fc.option(fc.integer({ min: 0, max: 2 }))
    }),
    { maxLength: 2 }
  )
  fc.assert(
    fc.property(workload(['a', 'b']), quotas, (jobs, some) => {
      const rules: Rules = rulesOf({ quotas: some.map(quota) })
      const rulesFor = (tenant: string) => (tenant === 'a' ? rules : unrestricted)
      const { starts } = simulate({
        total,
        jobs,
        rulesFor,
        onLook: ({ running, waiting, free, reservation, now }) => {
          for (const token of ['x', 'y']) {
            const held = { tenant: running.heldByTenant('a'), token: running.heldByToken('a', token) }
            const over = overQuota(rules.quotas, held, { millicores: 0, memoryBytes: 0, gpu: 0, slots: 0 })
            if (over !== null) throw new Error(JSON.stringify(over))
            for (const { per, running: most, cpu, gpu } of rules.quotas) {
              const { slots, millicores, gpu: gpus } = held[per]
              if (
                slots > (most ?? Infinity) ||
                millicores > (cpu ?? Infinity) * 1000 ||
                gpus > (gpu ?? Infinity)
              )
                throw new Error(`over ${JSON.stringify({ per, most, cpu, gpu })}`)
            }
          }
          const other = waiting.tenants().get('b')
          for (const { jobs } of other?.lines.values() ?? []) {
            const { needs, longestMs, id } = jobs.first()!
            if (
              fits(needs, free) &&
              (reservation === null || leavesRoom({ needs, endsBy: now + longestMs }, reservation))
            )
              throw new Error(`${id} of b waits at ${now} for nothing`)
          }
        }
      })
      const never = jobs.filter(
        ({ tenant, token, needs }) =>
          tenant === 'a' &&
          overQuota(rules.quotas, { tenant: cores(0), token: cores(0) }, needs) !== null &&
          token !== undefined
      )
      // Whatever could ever start under its quota has started in the end.
      return starts.length >= jobs.length - never.length
    }),
    { numRuns: 300 }
  )
  t.end()
})

await t.test('preemption', (t) => {
  fc.assert(
    fc.property(
      workload(['a', 'b'], { preemptible: true }),
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 1, max: 100 }),
      (jobs, maxPerJob, stopMs) => {
        const byId = new Map(jobs.map((job) => [job.id, job]))
        const rules = rulesOf({ preemption: { maxPerJob, graceSeconds: 1 } })
        const { starts, preemptions } = simulate({ total, jobs, rulesFor: () => rules, stopMs })
        const counts = new Map<string, number>()
        for (const { victim, by, at } of preemptions) {
          counts.set(victim, (counts.get(victim) ?? 0) + 1)
          const [ended, mover] = [byId.get(victim)!, byId.get(by)!]
          if (ended.preemptible !== true) throw new Error(`${victim} is not preemptible`)
          if (ended.tenant === mover.tenant && ended.priority! >= mover.priority!)
            throw new Error(`${by} ended ${victim}, which is as important`)
          if (preemptions.some((other) => other.victim === by && other.by === victim))
            throw new Error(`${victim} and ${by} ended one another`)
          // Those chosen earlier may still be ending: their room counts too.
          const gone = Math.max(
            ...preemptions
              .filter((other) => other.at <= at && other.goneAt >= at)
              .map((other) => other.goneAt)
          )
          if (!starts.some((start) => start.id === by && start.at >= at && start.at <= gone))
            throw new Error(`${victim} was ended at ${at} and ${by} did not start by ${gone}`)
        }
        for (const count of counts.values())
          if (count > maxPerJob) throw new Error(`preempted ${count} times`)
        const again = [...counts.values()].reduce((sum, count) => sum + count, 0)
        return starts.length === jobs.length + again
      }
    ),
    { numRuns: 400 }
  )
  t.end()
})

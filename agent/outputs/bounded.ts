import type { Report } from '../domain/report.ts'
import { gravestOf } from '../report/deed.ts'

/** Of an incident as it is sent: the baseline has all of it. */
const MOST_CHARACTERS = 131_072

/** A report without the edges of an incident that are too much to be sent; the gravest one is always there. */
export function bounded(report: Report): Report {
  if (report.kind !== 'incident' || JSON.stringify(report).length <= MOST_CHARACTERS) return report
  const { edges, unlisted = 0 } = report
  const gravest = gravestOf(report)
  let room = MOST_CHARACTERS / 2
  const kept = edges.filter((edge) => {
    room -= JSON.stringify(edge).length
    return room >= 0 || edge === gravest
  })
  return { ...report, edges: kept, unlisted: unlisted + edges.length - kept.length }
}

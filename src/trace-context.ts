/** A W3C trace context of version 00: ids that are all zeros are none. */
export const traceContextPattern = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** The trace of a well-formed context, as it stands in logs and audit records. */
export const traceIdOf = (traceparent: string): string => traceparent.slice(3, 35)

/** The groups of operations; an operation of another tag fails the linter of the document. */
export const tags = [
  { name: 'jobs', description: 'Submit, look at, cancel.' },
  { name: 'streams', description: 'What a job prints, while it prints it and afterwards.' },
  { name: 'workloads', description: 'What the runtimes hold.' },
  { name: 'nodes', description: 'Machines, and what waits for them.' },
  { name: 'health', description: 'Probes.' },
  { name: 'admin', description: 'Tokens, secrets, the audit, backups.' },
  { name: 'documents', description: 'What the service says of itself.' }
]

/** The architecture, kept by a machine: docs/architecture.md says why. */
const PURE = '^agent/(?:(?:domain|parse|assemble|interpret|graph|detect|peers)/|rules/(?!read\\.ts))'

const onlyOwner = (name, module, owner) => ({
  name,
  comment: `${module} has one owner: ${owner}.`,
  severity: 'error',
  from: { path: '^agent/', pathNot: `^agent/${owner}` },
  to: { path: module },
})

const stage = (folder, ...friends) => ({
  name: `${folder}-is-a-stage`,
  comment: `Stages do not import each other: ${folder}/ may import itself and ${friends.join(', ')} only.`,
  severity: 'error',
  from: { path: `^agent/${folder}/` },
  to: { path: '^agent/', pathNot: `^agent/(${[folder, ...friends].join('|')})/` },
})

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Data flows one way.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      comment: 'A file that nothing imports is dead.',
      severity: 'error',
      from: { orphan: true, path: '^agent/', pathNot: '\\.d\\.ts$' },
      to: {},
    },
    {
      name: 'pure-folders-have-no-world',
      comment: 'Pure folders import no Node module: files, clocks and chance come in as arguments.',
      severity: 'error',
      from: { path: PURE },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?buffer$' },
    },
    {
      name: 'domain-imports-nothing',
      comment: 'domain/ is the shared vocabulary.',
      severity: 'error',
      from: { path: '^agent/domain/' },
      to: { pathNot: '^agent/domain/' },
    },
    stage('parse', 'domain'),
    stage('assemble', 'domain'),
    stage('interpret', 'domain'),
    stage('graph', 'domain'),
    stage('detect', 'domain'),
    stage('peers', 'domain'),
    stage('rules', 'domain', 'detect', 'config', 'support'),
    stage('dns', 'domain', 'peers', 'support'),
    stage('baseline', 'domain', 'support'),
    stage('report', 'domain', 'detect', 'support'),
    stage('outputs', 'domain', 'config', 'report', 'support'),
    stage('tail', 'domain', 'support'),
    stage('config', 'domain', 'peers', 'support'),
    onlyOwner('sqlite-has-one-owner', 'better-sqlite3', 'baseline/'),
    onlyOwner('winston-has-one-owner', 'node_modules/winston', 'support/log.ts'),
    onlyOwner('tail-has-one-owner', 'node_modules/tail/', 'tail/'),
    onlyOwner('child-process-has-one-owner', '^(node:)?child_process$', 'support/command.ts'),
    onlyOwner('ipaddr-has-two-owners', 'node_modules/ipaddr', '(interpret/sockaddr|peers/addresses).ts'),
    onlyOwner('dns-packet-has-one-owner', 'node_modules/dns-packet', 'peers/messages.ts'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { extensions: ['.ts', '.js'], conditionNames: ['import', 'node', 'default'] },
  },
}

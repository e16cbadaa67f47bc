// Prints as mocha's own "spec" does, and writes the counts to a file for the closing line of `npm test`.
const { writeFileSync } = require('node:fs');
const { reporters } = require('mocha');

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.on('end', () => {
      const { passes, failures } = runner.stats;
      if (options.reporterOptions?.file)
        writeFileSync(options.reporterOptions.file, JSON.stringify({ passes, failures }));
    });
  }
};

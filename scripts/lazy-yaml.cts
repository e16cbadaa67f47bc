/* Stands in for `yaml` in the bundle: the package itself is only evaluated when one of its functions is called. */
const load = () => require('../node_modules/yaml/dist/index.js');
const lazy =
  (name: string) =>
  (...args: unknown[]) =>
    load()[name](...args);

module.exports.isAlias = lazy('isAlias');
module.exports.isMap = lazy('isMap');
module.exports.isPair = lazy('isPair');
module.exports.isScalar = lazy('isScalar');
module.exports.isSeq = lazy('isSeq');
module.exports.parseDocument = lazy('parseDocument');

// The component itself, which is what @grafana/ui imports; the bundler would hand it the module around it.
module.exports = require('./node_modules/react-custom-scrollbars-2/lib/index.js').Scrollbars;

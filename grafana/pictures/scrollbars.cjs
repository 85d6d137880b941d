// Export the component itself, as @grafana/ui expects; the bundler would return the module around it.
module.exports = require('./node_modules/react-custom-scrollbars-2/lib/index.js').Scrollbars;

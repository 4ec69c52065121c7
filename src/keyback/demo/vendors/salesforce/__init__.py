"""A stateful stand-in for Salesforce; see `keyback.demo.vendors`."""

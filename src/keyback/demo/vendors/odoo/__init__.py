"""A stateful stand-in for an Odoo server of one database; see `keyback.demo.vendors`."""

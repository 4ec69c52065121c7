"""A stateful stand-in for Zoho CRM and the Zoho Mail organization API; see `keyback.demo.vendors`."""

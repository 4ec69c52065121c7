"""A stateful stand-in for the open platform of 纷享销客 (Fxiaoke); see `keyback.demo.vendors`."""

"""Agent families; `conf/agent/*.yaml` names them, nothing imports them."""

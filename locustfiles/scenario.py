"""Any scenario that a YAML file describes: its user classes, what they say and when, the shape, the rate, the rules.

    locust -f locustfiles/scenario.py --headless --ext-config config/burst.yaml      # on the embedded server
    locust -f locustfiles/scenario.py --ext-config config/burst.yaml --host http://127.0.0.1:8080

Workers need the same --ext-config. The keys are in config/schema.json, which editors read: docs/scenarios.md.
"""

import locust_ext

locust_ext.install()
globals().update(locust_ext.scenario())

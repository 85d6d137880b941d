"""Simulated training job: the coordinator's command, which reads the request as JSON from standard input."""

import json
import sys
from urllib.parse import urlencode
from urllib.request import Request, urlopen

request = json.load(sys.stdin)
query = urlencode({"pipeline": request["pipeline"]})
with urlopen(Request(f"http://models:8000/retrain?{query}", method="POST"), timeout=30) as answer:
    print(answer.read().decode())

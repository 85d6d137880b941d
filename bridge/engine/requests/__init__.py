"""Episodes, retrain requests and the gates that hold them."""

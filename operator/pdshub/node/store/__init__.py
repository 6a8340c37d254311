"""What the node keeps on its disk: the views of the API server and the generations of surveyors."""

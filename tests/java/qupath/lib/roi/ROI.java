package qupath.lib.roi;

import java.io.Serializable;

public interface ROI {}

abstract class AbstractPathROI implements ROI {
    int c = -1, t = 0, z = 0;
}

class ClosedShapeStatistics implements Serializable {
    private static final long serialVersionUID = 1L;
    double area = 1;
}

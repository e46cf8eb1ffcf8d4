package qupath.lib.roi;

import java.io.Serializable;

public class GeometryROI extends AbstractPathROI implements Serializable {
    private static final long serialVersionUID = 1L;
    public final byte[] wkb;

    public GeometryROI(byte[] wkb) {
        this.wkb = wkb;
    }

    private Object writeReplace() {
        return new WKBSerializationProxy(this);
    }

    static class GeometryStats implements Serializable {
        private static final long serialVersionUID = 1L;
        double area = 12.5;
    }

    private static class WKBSerializationProxy implements Serializable {
        private static final long serialVersionUID = 1L;
        private final byte[] wkb;
        private final int c, z, t;
        private final GeometryStats stats = new GeometryStats();

        WKBSerializationProxy(GeometryROI roi) {
            wkb = roi.wkb;
            c = roi.c;
            z = roi.z;
            t = roi.t;
        }

        private Object readResolve() {
            return new GeometryROI(wkb);
        }
    }
}
